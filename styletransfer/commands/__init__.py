"""What the commands do, a module each; `styletransfer.cli` puts them together."""

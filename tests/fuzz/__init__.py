"""Every reader of files that others have made, fed with damaged and hostile ones."""

"""Pictures and films made on several machines, by Dask's distributed scheduler."""

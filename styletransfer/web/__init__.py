"""The HTTP service and the page: jobs come in as requests, and a worker process makes them."""

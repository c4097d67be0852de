"""The command line: every door's operations, jobs and assets by way of the HTTP API."""

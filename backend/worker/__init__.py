"""The worker process: plugins, bricks and codecs on one lane; no HTTP, no database, no secrets."""

"""The endpoint: gateway, job queue, workers, web page, promotion, drift of requests."""

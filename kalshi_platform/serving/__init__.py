"""A registered model answers: requests over HTTP, and live streams of frames.

Not here   Ray Serve (serve_deployments/). Begin reading at server/service.py, the way of one request.
"""

"""The HTTP and WebSocket service of one replica: tokens, limits, reading, answering, counting.

Not here   Ray Serve (serve_deployments/), a model's decision (serving/inference). Begin reading at
           service.py.
"""

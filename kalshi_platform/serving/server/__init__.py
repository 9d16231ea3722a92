"""The HTTP service: access, reading a request, answering it, metrics; no Ray.

Not here   Ray Serve's deployments (serve_deployments/). Begin reading at service.py.
"""

__all__ = ["args", "full_tier", "gate", "http", "metrics", "observability", "service", "warming"]

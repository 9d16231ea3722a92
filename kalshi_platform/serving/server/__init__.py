"""The HTTP service: access, reading a request, answering it, metrics; no Ray.

Not here   Ray Serve's deployments (serve_deployments/). Begin reading at service.py.
"""

__all__ = ["args", "gate", "http", "metrics", "observability", "service", "tier_3", "waiting", "warming"]

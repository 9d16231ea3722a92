"""Replay environments: many stepped in one call, their Gymnasium view, episodes, curriculum, rewards.

Not here   the loop with a policy (rollout/) and fills (replay/). Begin reading at vector.py.
"""

__all__ = ["config", "curriculum", "episodes", "gym_env", "kernel", "records", "settings", "state", "vector"]

"""Requests and messages on the wire, and their clients."""

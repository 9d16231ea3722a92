"""The open-loop load test and its page."""

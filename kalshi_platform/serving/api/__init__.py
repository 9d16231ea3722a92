"""The wire: bodies of requests and answers, messages of a stream, and the clients that send them.

Not here   the server (serving/server). Begin reading at requests.py.
"""

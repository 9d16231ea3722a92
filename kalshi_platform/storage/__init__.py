"""Files in a folder or a bucket: durable writes, locks between processes, patience with a store.

Not here   what the files mean (each wing knows its own). Begin reading at storage.py.
"""

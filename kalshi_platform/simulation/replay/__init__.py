"""Feature shards opened for stepping; execution model and account."""

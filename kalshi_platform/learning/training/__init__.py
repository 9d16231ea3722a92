"""PPO configuration, columnar sampler, callbacks, run loop."""

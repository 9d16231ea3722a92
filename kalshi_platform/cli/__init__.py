"""The command line, one module a command group; ``main.py`` lists the commands.

Not here   any work: a command reads its options, calls a wing and prints. Begin reading at main.py.
"""

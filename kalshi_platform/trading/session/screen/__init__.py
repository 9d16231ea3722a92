"""Screen of a session on a terminal (``kalshi-platform trade --tui``): a process of its own.

Why a process   drawing takes milliseconds of the interpreter, and a terminal that stops reading blocks
                whoever draws: neither may hold up a decision. While kernels compile the screen still lives,
                and a session that is killed leaves a terminal in order.
Begin reading at screen_process.py (the session's side), then screen_app.py (the terminal's side).
Not here   what may be done to a session (controls.py beside this room), what is shown (snapshot.py).
"""

__all__ = ["lent_terminal", "screen_process"]

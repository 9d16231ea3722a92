"""The measurements and the gates between a run and a champion."""

"""The embedded AWS: ministack in this process, extended where the application needs AWS's own ways.

`python -m local.aws` hosts one instance: the emulator and every component that hangs in it.
"""

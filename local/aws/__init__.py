"""The embedded AWS: ministack in this process, extended where AWS's behaviour matters.

`python -m local.aws` hosts one instance: the emulator and every component in it.
"""

"""The black-box run: all operations through public interfaces, on an account or on one machine."""

"""The black-box run: the whole job through public interfaces, on an account or on one machine."""

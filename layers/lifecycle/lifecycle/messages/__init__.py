"""Messages to people: what is sent, in which words, to whom, and that it is sent once."""

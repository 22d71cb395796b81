"""Identity providers of OpenID Connect over the network."""

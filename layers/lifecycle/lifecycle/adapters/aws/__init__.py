"""AWS. One module per service; each translates foreign errors into ours."""

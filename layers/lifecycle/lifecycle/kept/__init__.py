"""What clusters leave behind: found by its tags, judged, and copied for a new cluster."""

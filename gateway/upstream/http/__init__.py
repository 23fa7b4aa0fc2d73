"""The HTTP client, behind one seam."""

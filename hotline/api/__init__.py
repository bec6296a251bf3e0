"""/api/v1/ for the ticketing system."""

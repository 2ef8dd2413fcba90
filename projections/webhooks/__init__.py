"""The inline view of deliveries that are due, and the view of all deliveries."""

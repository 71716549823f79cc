"""Mail: letters become subject, text and HTML, and leave over SMTP."""

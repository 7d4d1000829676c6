"""The API without a transport: from request bytes to response bytes, whatever engine carries them."""

"""The step `gather_requests`: what the endpoint was asked for lately is set aside."""

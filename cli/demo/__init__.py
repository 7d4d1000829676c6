"""The demo: a year of real groceries, from the purchase lines to ranked coupons over gRPC."""

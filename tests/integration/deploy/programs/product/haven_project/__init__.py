"""Stands in for the product: the same entry points, with applications that show what reached them."""

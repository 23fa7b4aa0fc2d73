"""Voucherify: promotions, with static segments and segments by filter."""

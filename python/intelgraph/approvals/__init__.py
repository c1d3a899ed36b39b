"""Dual control: the one mechanism by which an act needs the consent of more than one person."""

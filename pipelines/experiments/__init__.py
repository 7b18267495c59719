"""Experiments: a recipe prepared, trained, evaluated, searched, reproduced and resumed."""

from __future__ import annotations

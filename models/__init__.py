"""Networks, loading, training and evaluation on dataset views."""

from models.networks import MODELS, ModelCard, build_model, count_parameters, model_card, models_table

__all__ = ["MODELS", "ModelCard", "build_model", "count_parameters", "model_card", "models_table"]

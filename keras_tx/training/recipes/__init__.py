"""Whole trainings: language models, image classifiers, fine-tuning."""

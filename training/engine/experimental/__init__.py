"""Experimental kinds of policies and algorithms. Importing this package registers them with the stable engine.

latent_pretraining: a text variational autoencoder (policy_kind "vae"). pathwise: the pathwise gradient of the reward
(algorithm "pathwise"). discriminator: a generative adversarial reward term ("discriminator").
"""

from training.engine.experimental import discriminator, latent_pretraining, pathwise

__all__ = ["discriminator", "latent_pretraining", "pathwise"]

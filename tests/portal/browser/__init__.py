"""The portal as people meet it: Chromium in front of a whole running Haven."""

"""The laboratory of section 6.6: data, training, and the study of many nets."""

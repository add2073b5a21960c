"""What the site offers beside its pages: PDF, student notebooks, notes, Colab."""

"""The step `measure-laws`: a model continues clips inside and outside what it was trained on."""

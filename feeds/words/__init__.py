"""What is said, in Indonesian and English: forms, sentences, headlines, plain words for terms. Pure."""

import shop

shop.price("A")


def answer(input):
    return "never"

"""The texts on which a lower precision must prove itself: plain sentences of every mood, ours, in no data set.

Each opening goes with each ending; what they mean together may be odd, and is all the better a test: close calls are
what a lower precision gets wrong.
"""

_OPENINGS = """
I love how
I hate that
Honestly, I can't believe that
Thank you so much, I'm really glad
What on earth,
I'm so sorry to hear that
It scares me a little when
We were all surprised that
Nobody told us
I keep wondering why
It makes me laugh every time
My sister is proud that
He was furious because
It's disgusting how
I'd really like to know whether
Congratulations, it seems that
I was hoping
No, that's wrong,
Sadly,
As far as I can see,
Oh wow,
I miss the days when
She finally admitted that
You should be ashamed that
It's a relief that
"""

_ENDINGS = """
the delivery took three weeks and nobody answered my mails.
this little lamp makes the whole room feel warm.
they closed the old cinema on our street.
the dog waits at the door every evening.
you did all of that on your own!
the battery died after two days.
it works.
my grandfather kept every single letter.
the landlord wants the money by Friday, or else.
somebody put the wrong label on it and then blamed the new one, who had only started on Monday.
the team came back from three goals down in the last ten minutes.
the soup was cold again?
nothing has changed since the last update, apart from the colour of the buttons.
the children sang for us, out of tune and very loud, and would not stop until everybody clapped.
people treat each other like that.
there is a bus at seven and another one at half past.
the doctor said it was nothing serious.
they never even tried to explain what the extra fee was for, although I asked twice.
we could see the sea from our window.
he left without a word.
the price went up.
I got the job!!!
the manual is in four languages and wrong in all of them :(
she remembered my name after all these years.
somebody was standing behind the curtain.
you can't be serious about that.
the second season is better than the first.
it smells like burnt plastic, and the seller says that this is normal.
our neighbours helped us carry everything up to the fifth floor in the rain.
the meeting was moved to Tuesday.
"""


def probe_texts() -> list[str]:
    """750 different sentences, in a fixed order."""
    return [
        f"{opening} {ending}" for opening in _OPENINGS.strip().splitlines() for ending in _ENDINGS.strip().splitlines()
    ]

package io.railyard

/** What `railyard outcome` says: a word, how far the Coach is, and why. */
class Outcome implements Serializable {
    private static final long serialVersionUID = 1L

    final String word // WAIT, PASSED, BOARDED, or the result the build should have
    final String milepost // names how far the Coach is: "3", "end"
    final String text

    private Outcome(String word, String milepost, String text) {
        this.word = word
        this.milepost = milepost
        this.text = text
    }

    /** Reads the line, such as "WAIT 3 hotel-api-7.2: delivering UAT: UAT/hotel-api smoke". */
    static Outcome of(String line) {
        List<String> parts = line.trim().split(' ', 3) as List<String>
        if (parts.size() < 3) {
            throw new IllegalArgumentException("railyard outcome said '${line}'; expected a word, a milepost and a reason")
        }
        return new Outcome(parts[0], parts[1], parts[2])
    }

    boolean isWaiting() { return word == 'WAIT' }

    boolean isBoarded() { return word == 'BOARDED' }

    boolean isPassed() { return word == 'PASSED' }
}

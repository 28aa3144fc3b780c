import edgeflow.GaitModel;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;

/** Feeds the model from the standard input, nanoseconds and values a line; prints each decision. */
final class Drive {
    public static void main(String[] arguments) throws IOException {
        GaitModel model = new GaitModel();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = lines.readLine()) != null; ) {
            String[] words = line.split(" ");
            float[] values = new float[GaitModel.SENSORS];
            for (int i = 0; i < values.length; i++)
                values[i] = Float.parseFloat(words[i + 1]);
            if (model.push(Long.parseLong(words[0]), values) == 0)
                continue;
            StringBuilder text = new StringBuilder(GaitModel.LABELS[model.decision()]);
            text.append(' ').append(model.share());
            for (int i = 0; i < GaitModel.OUTPUTS; i++)
                text.append(' ').append(model.output(i));
            System.out.println(text);
        }
        try {
            model.push(0, 1f);
        } catch (IllegalArgumentException error) {
            System.out.println(error.getMessage());
        }
    }
}

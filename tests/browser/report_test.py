"""`nmlbench report` in a headless Chromium: charts are drawn, tables sort and filter, nothing is fetched or logged."""
import argparse
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

from webdriver import Browser

PHONE, DESKTOP = 390, 1280
SECTIONS = ["noise", "tasks", "differences", "fractions", "cost", "learning", "features", "spectra", "confusion",
            "transitions"]  # and "settings", where a tuner has several
DATABASES = ["full", "bare", "one", "level", "sweep", "sweep-level", "many", "large"]

# For each chart: its section and how many colours its canvas holds (one: nothing was drawn).
DRAWN = """
return [...document.querySelectorAll("[data-chart] .plot canvas")].map(canvas => {
  const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height), colours = new Set();
  for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 0) colours.add(data[i] << 16 | data[i + 1] << 8 | data[i + 2]);
  return {section: canvas.closest("[data-chart]").dataset.chart, title: canvas.getAttribute("aria-label"), colours: colours.size};
});"""
COLUMN = """
const column = arguments[0];
return [...document.querySelectorAll("#leaderboard tbody tr")].filter(row => !row.hidden).map(row => row.cells[column].textContent);"""
HEADERS = "return [...document.querySelectorAll('#leaderboard th')].map(th => th.textContent);"


def eventually(condition, seconds=10):
    """Whether the condition comes true: browsers fire some events when they next draw."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


class ReportTest(unittest.TestCase):
    folder = browser = screenshots = program = None  # set by main()

    def show(self, name, width=DESKTOP, scheme="light"):
        self.browser.look(width, scheme)
        self.browser.open(self.folder / f"{name}.html")

    def tearDown(self):
        """Whatever a test did, the page neither complained nor reached out."""
        self.assertEqual(self.browser.problems(), [])
        self.assertEqual([url for url in self.browser.requests() if not url.startswith("file:")], [])

    def test_every_chart_is_drawn_in_every_look(self):
        for width in (PHONE, DESKTOP):
            for scheme in ("light", "dark"):
                with self.subTest(width=width, scheme=scheme):
                    self.show("full", width, scheme)
                    charts = self.browser.run(DRAWN)
                    self.assertEqual([s for s in SECTIONS if all(chart["section"] != s for chart in charts)], [])
                    self.assertEqual([chart for chart in charts if chart["colours"] < 4], [])
                    self.assertLessEqual(self.browser.run("return document.documentElement.scrollWidth"), width)

    def test_every_kind_of_database_is_drawn_on_a_phone(self):
        for name in set(DATABASES) - {"large"}:
            with self.subTest(name=name):
                self.show(name, PHONE)
                charts = self.browser.run(DRAWN)
                self.assertTrue(charts)
                self.assertEqual([chart for chart in charts if chart["colours"] < 4], [])
                self.assertLessEqual(self.browser.run("return document.documentElement.scrollWidth"), PHONE)

    def test_dark_and_light_differ(self):
        grounds = []
        for scheme in ("light", "dark"):
            self.show("full", scheme=scheme)
            grounds.append(self.browser.run("return getComputedStyle(document.body).backgroundColor"))
        self.assertNotEqual(*grounds)

    def test_a_change_of_scheme_redraws_the_charts(self):
        self.show("full", scheme="light")
        pixels = "return document.querySelector('[data-chart=noise] .plot canvas').toDataURL();"
        before = self.browser.run(pixels)
        self.browser.look(DESKTOP, "dark")
        self.assertTrue(eventually(lambda: self.browser.run(pixels) != before))

    def test_axes_have_titles(self):
        self.show("full")
        titles = self.browser.run("""
            return [...document.querySelectorAll("[data-chart] .plot canvas")].flatMap(canvas =>
              Object.values(Chart.getChart(canvas).scales).filter(s => s.options.title.display).map(s => s.options.title.text));""")
        for expected in ("accuracy (%)", "label noise in pre-training (%)", "training data used (%)", "noisy class"):
            self.assertIn(expected, titles)
        self.assertNotIn("", titles)

    def test_the_table_sorts(self):
        self.show("full")
        column = self.browser.run(HEADERS).index("ID")
        header = f"document.querySelectorAll('#leaderboard th')[{column}]"
        for direction, sign in (("ascending", 1), ("descending", -1)):
            self.browser.run(f"{header}.querySelector('button').click()")
            self.assertEqual(self.browser.run(f"return {header}.getAttribute('aria-sort')"), direction)
            values = [sign * float(text.split()[0]) for text in self.browser.run(COLUMN, column)]
            self.assertEqual(values, sorted(values))
            self.assertGreater(len(set(values)), 10)

    def test_the_table_filters(self):
        self.show("full")
        column = self.browser.run(HEADERS).index("tuner")
        everything = self.browser.run(COLUMN, column)
        self.browser.run("""
            const search = document.querySelector("#leaderboard input[type=search]");
            search.value = "NMTUNE pair"; search.dispatchEvent(new Event("input"));""")
        found = self.browser.run(COLUMN, column)
        self.assertEqual(set(found), {"nmtune"})
        self.assertLess(len(found), everything.count("nmtune"))
        self.browser.run("""
            const search = document.querySelector("#leaderboard input[type=search]");
            search.value = ""; search.dispatchEvent(new Event("input"));
            const select = [...document.querySelectorAll("#leaderboard .controls label")].find(l => l.textContent.startsWith("tuner")).querySelector("select");
            select.value = "mlp"; select.dispatchEvent(new Event("change"));""")
        self.assertEqual(len(self.browser.run(COLUMN, column)), everything.count("mlp"))

    def test_the_legend_hides_a_tuner_in_every_chart(self):
        self.show("full")
        lines = """
            return [...document.querySelectorAll("[data-chart=noise] canvas, [data-chart=tasks] canvas")].flatMap(canvas => {
              const chart = Chart.getChart(canvas);
              return chart ? chart.data.datasets.filter(d => d.label === "mlp").map(d => d.label) : []; }).length"""
        self.assertGreater(self.browser.run(lines), 4)
        self.browser.run("[...document.querySelectorAll('[data-chart=noise] .legend button')].find(b => b.textContent === 'mlp').click()")
        self.assertEqual(self.browser.run(lines), 0)

    def test_many_settings_of_a_tuner_share_a_colour_an_entry_and_an_envelope(self):
        self.show("sweep")
        entries = self.browser.run("return [...document.querySelectorAll('#noise .charts > .legend button')].map(b => b.textContent)")
        self.assertEqual(sorted(entries), ["linear-probe12 settings", "mlp", "nmtune12 settings"])
        lines = self.browser.run("""
            return Chart.getChart(document.querySelector("#noise .plot canvas")).data.datasets.map(
              ({label, envelope, data, borderColor}) => ({label, envelope, data: data.map(({x, y}) => [x, y]), colour: borderColor}))""")
        for tuner in ("nmtune", "linear-probe"):
            settings = [line for line in lines if (line["label"] or "").startswith(tuner)]
            self.assertEqual(len(settings), 12)
            self.assertEqual(len({line["colour"] for line in settings}), 12)  # a shade each
            [top] = [line["data"] for line in lines if line["envelope"] == tuner]
            self.assertEqual(len(top), 5)
            for i, (x, y) in enumerate(top):
                self.assertEqual({line["data"][i][0] for line in settings}, {x})
                self.assertEqual(y, max(line["data"][i][1] for line in settings))
        self.assertEqual([line for line in lines if line["envelope"] == "mlp"], [])

    def test_the_settings_chart_has_the_best_of_each_value(self):
        self.show("sweep")
        points, best = self.browser.run("""
            const {datasets} = Chart.getChart(document.querySelector("#settings .plot canvas")).data;
            return [datasets[0].data.map(({series, value, y}) => [figures.series[series].tuner, value, y]),
                    datasets.slice(1).map(({envelope, data}) => [envelope, data.map(({y}) => y)])]"""
            .replace("figures.", "JSON.parse(document.getElementById('figures').textContent)."))
        for tuner, line in best:
            values = sorted({value for name, value, _ in points if name == tuner})
            self.assertEqual(line, [max(y for name, at, y in points if (name, at) == (tuner, value)) for value in values])

    def test_one_level_of_noise_has_dots_with_intervals(self):
        self.show("level")
        data, labels, x = self.browser.run("""
            const {data, scales} = Chart.getChart(document.querySelector("#noise .plot canvas"));
            return [data.datasets[0].data.map(({x, half}) => [x, half]), scales.y.ticks.map(tick => tick.label), [scales.x.min, scales.x.max]]""")
        self.assertEqual(labels, ["nmtune", "mlp", "linear-probe"])
        self.assertEqual(sorted(data, reverse=True), data)
        self.assertTrue(all(half > 0 for _, half in data))
        self.assertLess(x[0], min(mean - half for mean, half in data))
        self.show("sweep-level")
        rows = "return Chart.getChart(document.querySelector('#noise .plot canvas')).data.datasets[0].data.length"
        self.assertEqual(self.browser.run(rows), 25)

    def test_differences_of_many_tuners_are_shown_level_by_level(self):
        self.show("many")
        rows = "return Chart.getChart(document.querySelector('#differences .plot canvas')).data.datasets[0].data.length"
        self.assertEqual(self.browser.run(rows), 24)

    def test_numbers_come_with_the_baselines(self):
        self.show("level")
        self.browser.run("document.querySelector('#differences details:not(.settings)').open = true")
        rows = "return [...document.querySelectorAll('#differences details tr')].map(row => [...row.cells].map(cell => cell.textContent))"
        self.assertTrue(eventually(lambda: self.browser.run(rows)))
        head, *rows = self.browser.run(rows)
        self.assertEqual(head[2:5], ["accuracy (%)", "of linear-probe (%)", "difference"])
        for row in rows:
            self.assertAlmostEqual(float(row[2]) - float(row[3]), float(row[4]), places=2)

    def test_copies_the_rows_that_are_shown_as_latex(self):
        copied = """
            let copied; navigator.clipboard.writeText = async text => { copied = text; };
            document.querySelector("#leaderboard .copy").click(); return copied;"""
        self.show("full")
        whole = subprocess.run([self.program, "leaderboard", "--db", self.folder / "full.sqlite", "--baseline", "linear-probe",
                                "--format", "latex"], check=True, capture_output=True, text=True).stdout
        self.assertEqual(self.browser.run(copied), whole)
        self.browser.run("""
            const search = document.querySelector("#leaderboard input[type=search]");
            search.value = "nmtune"; search.dispatchEvent(new Event("input"));
            document.querySelector("#leaderboard th button").click();""")
        some = self.browser.run(copied).split("\n")
        self.assertTrue(set(some) < set(whole.split("\n")))
        rows = [line for line in some if line.endswith(r"\\")][1:]
        self.assertEqual(len(rows), len([line for line in whole.split("\n") if " nmtune " in line]))
        self.assertTrue(all(" nmtune " in line for line in rows))

    def test_latex_unfolds_where_the_clipboard_is_closed(self):
        self.show("level")
        text = self.browser.run("""
            navigator.clipboard.writeText = async () => { throw new Error("no"); };
            document.querySelector("#leaderboard .copy").click();
            await new Promise(done => setTimeout(done, 50));
            return [document.querySelector("#leaderboard .copied").textContent, getSelection().toString()]""")
        self.assertIn(r"\begin{tabular}", text[0])
        self.assertEqual(text[0].strip(), text[1].strip())

    def test_the_source_of_features_can_be_chosen(self):
        self.show("full")
        first_point = """
            const chart = Chart.getChart(document.querySelector("[data-chart=transitions] .plot canvas"));
            return chart.canvas.getAttribute("aria-label")"""
        before = self.browser.run(first_point)
        self.browser.run("""
            const select = document.getElementById("panel");
            select.value = [...select.options].find(o => o.text.includes("pair-flip") !== arguments[0].startsWith("pair-flip")).value;
            select.dispatchEvent(new Event("change"));""", before)
        self.assertNotEqual(self.browser.run(first_point).split()[0], before.split()[0])

    def test_numbers_unfold(self):
        self.show("full")
        self.browser.run("document.querySelector('[data-chart=noise] details').open = true")
        rows = "return document.querySelectorAll('[data-chart=noise] details tbody tr').length"
        self.assertTrue(eventually(lambda: self.browser.run(rows) == 4 * 4))  # tuners x noise ratios

    def test_data_is_no_code(self):
        self.show("full")
        self.assertIsNone(self.browser.run("return window.hacked ?? null"))
        self.assertIn("window.hacked", self.browser.run("return document.querySelector('[data-chart=noise] .legend').textContent"))

    def test_sections_without_data_say_so(self):
        self.show("bare", PHONE)
        self.assertEqual([chart["section"] for chart in self.browser.run(DRAWN)], ["noise"])  # one cell, one dot
        for section in SECTIONS[1:] + ["settings", "failures"]:
            text = self.browser.run("return document.querySelector(`li#${arguments[0]}, #${arguments[0]} p`).textContent", section)
            self.assertTrue(text.endswith("."), section)

    def test_prints(self):
        self.show("full", scheme="dark")
        self.assertGreater(len(self.browser.pdf()), 50_000)

    def test_ten_thousand_cells(self):
        size = (self.folder / "large.html").stat().st_size
        self.assertLess(size, 4_000_000)
        begin = time.monotonic()
        self.show("large")
        self.assertEqual([chart for chart in self.browser.run(DRAWN) if chart["colours"] < 4], [])
        print(f"large.html: {size / 1e6:.1f} MB, opened and drawn in {time.monotonic() - begin:.1f} s", file=sys.stderr)
        self.assertLess(time.monotonic() - begin, 20)  # on a loaded machine; 2 to 3 s on an idle one

    def test_screenshots(self):
        if self.screenshots is None:
            self.skipTest("no --screenshots FOLDER")
        for name in DATABASES:
            for width in (PHONE, DESKTOP):
                for scheme in ("light", "dark"):
                    self.show(name, width, scheme)
                    self.browser.screenshot(self.screenshots / f"{name}-{width}-{scheme}.png")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", required=True)
    parser.add_argument("--databases", required=True)
    parser.add_argument("--screenshots", type=pathlib.Path)
    options = parser.parse_args()
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not chromedriver:
        print("skipped: no chromium and chromedriver here (Debian: chromium, chromium-driver)")
        return 77
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subprocess.run([options.databases, folder], check=True)
        for database in folder.glob("*.sqlite"):
            subprocess.run([options.program, "report", "--db", database, "-o", database.with_suffix(".html")], check=True,
                           stdout=subprocess.DEVNULL)
        ReportTest.folder, ReportTest.screenshots, ReportTest.program = folder, options.screenshots, options.program
        ReportTest.browser = Browser(chromedriver, chromium)
        try:
            program = unittest.main(argv=["report_test", "-v"], exit=False)
        finally:
            ReportTest.browser.close()
        return 0 if program.result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())

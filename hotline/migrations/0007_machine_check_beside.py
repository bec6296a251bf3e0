from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("hotline", "0006_laboratory_conditions"),
    ]

    operations = [
        migrations.AlterField(
            model_name="secondaryreview",
            name="state",
            field=models.CharField(
                choices=[
                    ("checking", "机器校验中"),
                    ("settled", "机器校验通过"),
                    ("waiting", "待复核"),
                    ("decided", "已复核"),
                ],
                default="waiting",
                max_length=10,
                verbose_name="状态",
            ),
        ),
    ]

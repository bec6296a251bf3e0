from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("hotline", "0007_machine_check_beside")]

    operations = [
        migrations.AddField("lookup", "rewrites_chosen", models.BooleanField("改写由坐席选定", default=False)),
    ]
